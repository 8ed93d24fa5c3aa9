"""Helpers below every room: files, typed files, memory."""
