"""Deciding what a tap is worth. Pure: values in, values out."""
