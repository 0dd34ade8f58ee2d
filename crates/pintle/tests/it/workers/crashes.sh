#!/bin/sh
# Ends by a signal before it says anything.
kill -SEGV $$
