"""Models that AWS serves: Amazon Bedrock and Amazon SageMaker."""
