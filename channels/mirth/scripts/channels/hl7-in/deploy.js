// Says in the server log whether the broker answers; what is not published waits in the queue of the destination.
bridgeDeploy();
return;
