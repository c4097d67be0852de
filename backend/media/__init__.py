"""Media values: what an operation takes and gives, and their canonical files."""
