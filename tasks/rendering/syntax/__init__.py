"""The syntax tree of a source: what the engine compiles, as Python can read it.

The engine gives no tree to Python. This package reads one: :mod:`.tokens` and :mod:`.expressions`
for what is in a tag, :mod:`.blocks` for the tags of a source. It follows MiniJinja's parser
(https://docs.rs/minijinja/latest/minijinja/syntax/) and decides nothing alone: a source that it
cannot read is left to the engine, and to the checks that need no tree.
"""
