#!/bin/sh
# Takes more of a processor than it may.
ulimit -S -t 1
while :; do :; done
