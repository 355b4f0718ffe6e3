from __future__ import annotations

import hypothesis

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("freezo", deadline=None)
hypothesis.settings.load_profile("freezo")
