"""Augmentation that survives caching: views, and the channels that they change the most."""

from freezelib.augment.similarity import score_channels, sensitive_channels
from freezelib.augment.views import View, assign_views, get_view

__all__ = ["View", "assign_views", "get_view", "score_channels", "sensitive_channels"]
