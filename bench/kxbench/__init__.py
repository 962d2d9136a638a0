"""Measuring kismet-export: see bench/README.md."""
