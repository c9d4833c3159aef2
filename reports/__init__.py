"""The reports that `make reports` writes: tables and pictures of the known networks, and a page that shows them."""
