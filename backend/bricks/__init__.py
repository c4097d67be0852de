"""Stable verbs over ComfyUI; the only importer of ComfyUI's modules."""
