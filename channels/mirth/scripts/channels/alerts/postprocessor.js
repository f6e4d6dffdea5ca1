// After all destinations: acknowledged, or given back to the broker where one of them ended in ERROR.
bridgeSettle(message);
return;
