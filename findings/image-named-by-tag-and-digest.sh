#!/usr/bin/env bash
# Of an image that is named by tag and digest (`team/app:7@sha256:…`, a valid reference, of which the digest counts)
# docker-parse-image 3.0.1 (npm) makes the tag `7@sha256:…` and no digest, and docker 7.1.0 (PyPI) in
# parse_repository_tag the repository `team/app:7` and the digest for its tag. docker-image-py 0.2.0 (PyPI) and
# parse-docker-image-name 3.0.0 (npm) take it apart into all three.
#
# That is how ECS shows the image of every task of a deployment but the first: a tool that compares what runs with
# what was deployed finds another repository, or a tag that nobody has pushed.
#
# Seen: below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund docker-parse-image@3.0.1 parse-docker-image-name@3.0.0 >/dev/null
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check docker==7.1.0 docker-image-py==0.2.0

image="registry.example:5000/team/app:7@sha256:$(printf '0%.0s' $(seq 64))"
{
    node -e "
        const { registry, repository, tag, digest } = require('docker-parse-image')(process.argv[1]);
        console.log('docker-parse-image', registry, repository, tag, digest);
        const parsed = require('parse-docker-image-name')(process.argv[1]);
        console.log('parse-docker-image-name', parsed.domain, parsed.path, parsed.tag, parsed.digest);
    " "$image"
    python/bin/python - "$image" <<'PYTHON'
import sys

from docker.utils import parse_repository_tag
from docker_image.reference import Reference

print("docker", *parse_repository_tag(sys.argv[1]))
parsed = Reference.parse(sys.argv[1])
print("docker-image-py", parsed["name"], parsed["tag"], parsed["digest"])
PYTHON
} | sed -E 's/0{64}/ZEROS/' | tee seen
diff seen - <<'SEEN'
docker-parse-image registry.example:5000 app 7@sha256:ZEROS undefined
parse-docker-image-name registry.example:5000 team/app 7 sha256:ZEROS
docker registry.example:5000/team/app:7 sha256:ZEROS
docker-image-py registry.example:5000/team/app 7 sha256:ZEROS
SEEN
