"""What the server answers: published files from memory, searches, and counts of visits."""
