from training.bags import main

raise SystemExit(main())
