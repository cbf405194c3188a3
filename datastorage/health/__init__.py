"""Health endpoints: what Kubernetes asks before it sends traffic or restarts a pod (BR-STORAGE-028)."""
