"""The step `encode-latents`: clips become latents."""
