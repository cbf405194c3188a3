"""Reading incidents: lists, single incidents and exports (BR-STORAGE-021..027)."""
