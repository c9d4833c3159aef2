"""Results as text, a file for each sort of result. Nothing here counts."""
