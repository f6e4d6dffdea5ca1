var settings = bridgeSettings();
return bridgeConsume(settings.httpQueue, settings.httpBindings, false);
