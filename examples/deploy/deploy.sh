#!/bin/sh
# Deploy by release directories: `deploy.sh SOURCE` copies a directory (a checkout, a build) to
# releases/N, installs its dependencies, moves the link `current` there in one step, and has
# Relevo replace the workers. If the reload is refused or undone, the link moves back.
#
# Change the values here, or set the variables named in them.
site=${DEPLOY_SITE:-/srv/web}
service=${DEPLOY_SERVICE:-web}
relevo=${DEPLOY_RELEVO:-relevo}
# How many releases stay for `relevo rollback`; one that serves is kept in any case.
keep=${DEPLOY_KEEP:-5}
# A shell command, run in the new release if it has a package-lock.json.
install=${DEPLOY_INSTALL:-npm ci --omit=dev --no-audit --no-fund}

set -u

say() { printf 'deploy: %s\n' "$*"; }
fail() {
  code=$1
  shift
  say "FAILED: $*" >&2
  exit "$code"
}

# `mv -T` renames over the old link, so that there is a link at every moment.
point_to() { ln -sfn "$1" "$site/next" && mv -T "$site/next" "$site/current"; }

# The releases by number, the newest first.
numbers() { for known in "$site"/releases/*/; do basename "$known"; done | grep -x '[0-9]*' | sort -rn; }

[ $# -eq 1 ] && [ -d "$1" ] || fail 2 "usage: deploy.sh SOURCE, a directory with the app"
source=$1

mkdir -p "$site/releases" || fail 1 "cannot make $site/releases"
# Two at once would choose the same number.
if ! mkdir "$site/deploying" 2>/dev/null; then
  fail 1 "another deploy is going on; if none is, remove $site/deploying"
fi
trap 'rmdir "$site/deploying"' EXIT

number=$(numbers | head -n 1)
number=$((${number:-0} + 1))
release=$site/releases/$number
before=$(readlink "$site/current" || true)

# A directory without a number is never taken for a release: a copy that failed is none.
rm -rf "$site/releases/unfinished"
cp -R "$source" "$site/releases/unfinished" || fail 1 "cannot copy $source"
if [ -f "$site/releases/unfinished/package-lock.json" ]; then
  (cd "$site/releases/unfinished" && sh -c "$install") </dev/null 2>&1 ||
    fail 1 "the install ended with exit code $?; nothing was changed"
fi
mv -T "$site/releases/unfinished" "$release" || fail 1 "cannot make $release"
point_to "releases/$number" || fail 1 "cannot move the link $site/current"

"$relevo" reload "$service" </dev/null 2>&1
code=$?
case $code in
  0) say "'$service' serves release $number" ;;
  3) say "'$service' is not running yet: release $number is in place" ;;
  4) fail "$code" "'$service' is still rolling out (exit code $code); see: relevo status $service" ;;
  *)
    [ -z "$before" ] || point_to "$before"
    fail "$code" "relevo reload $service ended with exit code $code; the link is at ${before:-$number} again"
    ;;
esac

# What serves, and what `current` leads to, is never removed. Without an answer nothing is.
status=$("$relevo" status "$service" --json 2>/dev/null) || exit 0
used=$(printf '%s' "$status" | grep -o '"release":"[^"]*"' | cut -d '"' -f 4 | sort -u)
for old in $(numbers | tail -n "+$((keep + 1))"); do
  place=$(cd "$site/releases/$old" && pwd -P) || continue
  # The script may lie deeper in the release.
  if ! printf '%s\n' "$used" | grep -q -e "^$place\$" -e "^$place/"; then
    rm -rf "$site/releases/$old" && say "release $old is removed"
  fi
done
