"""Published yardsticks, run as published: each module says what differs, and why."""
