mod list_deliveries;
