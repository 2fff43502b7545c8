"""Shared machinery of the slices: each module a real noun, none of it business."""
