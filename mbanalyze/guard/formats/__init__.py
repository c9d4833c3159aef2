"""An outcome of the guard in every format."""
