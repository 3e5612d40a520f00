#!/usr/bin/env bash
# Known vulnerabilities among the dependencies. Their database is a git repository that not every machine can
# reach; where it cannot be had this says so and passes, unless SLUICE_ADVISORIES=required.
set -euo pipefail
if cargo deny --log-level error fetch db; then
  exec cargo deny --log-level error check --disable-fetch advisories
fi
cat >&2 <<TEXT
################################################################################
#  NOT CHECKED: the advisory database could not be fetched (see above), so      #
#  nothing is known about vulnerabilities of the dependencies of this build.    #
################################################################################
TEXT
[ "${SLUICE_ADVISORIES:-}" != required ]
