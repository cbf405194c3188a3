"""Many incidents at once: counts and success rates (BR-STORAGE-030..034)."""
