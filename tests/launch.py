"""Run the command line with torchvision's operators defined, also if its compiled extension does not load."""

from witness import torchvision_operators

from mbanalyze.cli import main

if __name__ == "__main__":
    torchvision_operators()
    main()
