"""Animate an image, then let the clip go on, in the size and at the rate that they have.

python examples/extend.py IMAGE
"""

import sys

from kinora import VideoGenerator

prompt = "A red circle moves to the right on a grey background."
generator = VideoGenerator.from_version()
clip = generator(prompt, image=sys.argv[1])
longer = generator(prompt, video=clip.frames, fps=clip.fps)
longer.save("longer.gif")
print(longer)
