"""The network that tells things in frames, fitted anew to made scenes."""
