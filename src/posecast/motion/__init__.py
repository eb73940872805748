"""What is known of a motion before anything is learned: its own past, and others' motion."""
