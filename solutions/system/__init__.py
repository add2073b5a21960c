"""Files that are never half-written, and processes that end with their parent."""
