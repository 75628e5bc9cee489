"""What is measured once in a clip and shared by every detector."""
