"""Make a clip and an image with the deployed model, and save them.

python examples/generate.py
"""

from kinora import VideoGenerator

generator = VideoGenerator.from_version()
clip = generator("A red circle falls on a grey background.")
clip.save("circle.mp4")
image = generator("A blue square on a black background.", frames=1, seed=3)
image.save("square.png")
print(clip, image, sep="\n")
