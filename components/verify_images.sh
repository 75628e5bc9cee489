#!/bin/sh
# Prove built images as a cluster would run them: without root, a network, or any writable place but /tmp.
#   components/verify_images.sh kinora/python:0.1.0-cpu [kinora/python:0.1.0-gpu]       ENGINE=podman for podman
# Each image imports all that its programs import. The CPU image also runs the whole workflow, serves what it promoted
# (`kinora serve`: gateway and worker), and asks it for a clip over HTTP as a client would. That takes a few minutes.
set -eu

engine=${ENGINE:-docker}

for image; do
    echo "== $image"
    user=$($engine image inspect --format '{{.Config.User}}' "$image")
    case $user in
        '' | 0 | *[!0-9]*) echo "It runs as '$user': a cluster wants the number of a user that is not root." && exit 1 ;;
    esac
    target=${image##*-}
    work=''
    if [ "$target" = cpu ]; then
        work='
            python -m pipelines.demo --recipe smoke --work /tmp/work
            python -c "
from pathlib import Path
from kinora.media import read_video
(clip,) = Path(\"/tmp/work\").rglob(\"video.mp4\")
frames, rate = read_video(clip)
print(f\"The endpoint made a clip of {len(frames)} frames of {frames.shape[2]}x{frames.shape[1]} pixels.\")"'
    fi
    $engine run --rm --read-only --tmpfs /tmp --network none "$image" sh -euc "
            grep -q '^[^ ]* / [^ ]* ro[, ]' /proc/mounts
            python -m components.imports $target$work"
done
echo "Verified: $*"
