"""Monitoring and troubleshooting: named queries, findings and remedies."""
