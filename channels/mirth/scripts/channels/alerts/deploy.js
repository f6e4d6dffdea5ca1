// Says in the server log whether the broker answers; the queue is declared by the first poll that reaches it.
bridgeDeploy();
return;
