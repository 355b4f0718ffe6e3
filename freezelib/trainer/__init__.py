"""Training from scratch with freeze events on the way.

``config`` says what a training is, ``phase`` what is frozen and read between two freeze events,
``optimizer`` whose parameters they are, ``progress`` how a killed training goes on, and
``distributed`` how several processes train one suffix.
"""

from freezelib.trainer.config import TrainerConfig
from freezelib.trainer.trainer import FreezeTrainer

__all__ = ["FreezeTrainer", "TrainerConfig"]
