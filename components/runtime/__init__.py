"""What surrounds the body of every component: progress, failures, training state, what is kept."""
