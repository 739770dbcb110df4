"""The guide's monitoring and troubleshooting: named queries, what they mean, and what to do."""
