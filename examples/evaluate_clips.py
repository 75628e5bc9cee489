"""Find failures of physics and consistency in your own clips; the prompt of name.mp4 is read from name.txt.

python examples/evaluate_clips.py FOLDER
"""

import sys
from pathlib import Path

from evaluation.clips import evaluate_path

report = evaluate_path(Path(sys.argv[1]), Path("judged"))
for clip in report["clips"]:
    for failure in clip["failures"]:
        print(f"{clip['clip']}, frames {failure['start_frame']} to {failure['end_frame']}: {failure['explanation']}")
print("The page is judged/report.html.")
