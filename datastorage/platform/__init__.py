"""What every feature stands on: database, web, server, metrics, logs, time. It knows no feature."""
