"""What messages do; tasks call these, the task base commits."""
