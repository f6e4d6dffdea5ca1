bridgeClose();
return;
