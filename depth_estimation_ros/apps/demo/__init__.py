"""The demo: the real node between a player and a recorder, three processes over DDS.

`python -m depth_estimation_ros.apps.demo` runs it. sources says what is played; player, recorder
and the node are the processes; session starts and stops them; report makes something to look at.
"""
