"""Agreement with the prompt: its objects, colours, shapes and motions."""
