"""What stands at the end of the pipeline and answers."""
