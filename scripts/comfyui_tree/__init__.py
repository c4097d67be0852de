"""What ``scripts/comfyui.py`` does to the ComfyUI tree; standard library only.

Knows: where ``backend/`` lies, so that its modules about trees can be imported from a fresh clone.
Does not know: any command.
"""

import sys

from setup_steps import ROOT

if str(ROOT) not in sys.path:
    # last, so that nothing of ours can stand in front of a package
    sys.path.append(str(ROOT))
