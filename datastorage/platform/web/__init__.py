"""HTTP: contracts of views, problem documents, request ids, the API document."""
