# A node by the bundles of the package, unpacked into a derivation (`cryonet.package`), as root starts it by hand: control
# gives up its privileges, and starts a dataplane of its own.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.cryonet;
  settings = (pkgs.formats.toml { }).generate "cryonet.toml" cfg.settings;
in
{
  options.services.cryonet = {
    enable = lib.mkEnableOption "cryonet, a full mesh of tunnels";
    package = lib.mkOption {
      type = lib.types.package;
      description = "What has bin/cryonet and bin/cryoc.";
    };
    tokenFile = lib.mkOption {
      type = lib.types.path;
      description = "The secret of the mesh, outside of the store.";
    };
    settings = lib.mkOption {
      type = lib.types.attrs;
      default = { listen = "[::]:2333"; };
      description = "Options of cryonet(1), as in config.toml.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    boot.kernelModules = [ "tun" ];
    networking.firewall.allowedUDPPorts = [ 2333 ];
    networking.firewall.allowedTCPPorts = [ 2333 ];
    networking.networkmanager.unmanaged = [ "interface-name:cn*" ];
    systemd.network.networks."05-cryonet" = {
      matchConfig.Name = "cn*";
      linkConfig.Unmanaged = true;
    };
    systemd.services.cryonet = {
      description = "cryonet, a full mesh of tunnels";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      serviceConfig = {
        Type = "notify";
        NotifyAccess = "main";
        ExecStart = "${cfg.package}/bin/cryonet --config ${settings} --token-file ${cfg.tokenFile} --service";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        StateDirectory = "cryonet";
        RuntimeDirectory = "cryonet";
        Restart = "on-failure";
        RestartPreventExitStatus = 78;
        WatchdogSec = "30s";
      };
    };
  };
}
