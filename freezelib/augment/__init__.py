"""Augmentation that survives caching.

``augmentation`` declares it and ``support`` says what a cut makes of it; ``views`` and ``shifts``
act on images and, as their counterparts, on feature maps, ``on_batch`` on whatever is trained on;
``selection`` finds the channels that a view changes the most, with ``moments`` to compare maps,
``corrector`` to bring them closer and ``gains`` to weigh their errors.
"""

from freezelib.augment.augmentation import Augmentation
from freezelib.augment.corrector import correct_maps, fit_corrector
from freezelib.augment.draws import Draws
from freezelib.augment.gains import next_layer_gain
from freezelib.augment.moments import Moments
from freezelib.augment.selection import Selection, select_channels, sensitive_channels
from freezelib.augment.shifts import map_shifts, map_stride, shift_maps
from freezelib.augment.support import Support
from freezelib.augment.views import View, assign_views, get_view

__all__ = [
    "Augmentation",
    "Draws",
    "Moments",
    "Selection",
    "Support",
    "View",
    "assign_views",
    "correct_maps",
    "fit_corrector",
    "get_view",
    "map_shifts",
    "map_stride",
    "next_layer_gain",
    "select_channels",
    "sensitive_channels",
    "shift_maps",
]
