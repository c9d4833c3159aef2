"""The command line, where torchvision's compiled part may not load: what it lacks is defined first."""

from witness import torchvision

from mbanalyze.cli import main

if __name__ == "__main__":
    torchvision()
    main()
