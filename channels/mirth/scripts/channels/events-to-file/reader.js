var settings = bridgeSettings();
return bridgeConsume(settings.fileQueue, settings.fileBindings, false);
